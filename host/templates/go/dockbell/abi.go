//go:build wasip1

package dockbell

import (
	"fmt"
	"unsafe"
)

// What dockbell passes lies in memory as the canonical ABI of the component model has it, with pointers of 32 bits.
type (
	address    = uint32
	textABI    struct{ at, bytes uint32 }
	listABI    struct{ at, items uint32 }
	pairABI    struct{ name, value textABI }
	countABI   struct {
		what  textABI
		count uint32
	}
	eventABI struct {
		engine, kind, action, detail, actorID, scope textABI
		timeNanos                                    int64
		attributes, facts                            listABI
	}
)

//go:wasmimport dockbell:plugin/logging@0.1.0 log
func hostLog(level int32, at unsafe.Pointer, bytes uint32)

func log(level Level, line string) {
	hostLog(int32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

// Memory for what a call is given: handed out one behind the other, free all at once when the next call begins. An event has
// some hundred to some thousand bytes; what does not fit comes from the collected heap.
var (
	arena [8192]uint64
	used  uint32
	over  bool
	extra [][]uint64
)

//go:wasmexport cabi_realloc
func realloc(_ unsafe.Pointer, _, _, bytes uint32) unsafe.Pointer {
	if over {
		over, used, extra = false, 0, nil
	}
	words := (bytes + 7) / 8
	if words <= uint32(len(arena))-used && words > 0 {
		at := unsafe.Pointer(&arena[used])
		used += words
		return at
	}
	made := make([]uint64, words+1)
	extra = append(extra, made)
	return unsafe.Pointer(&made[0])
}

// A call's arguments become Go's own values: one copy of all the text in the arena, of which each string is a part.
type call struct {
	text string
	base uint32
}

func begin() call {
	base := unsafe.Pointer(&arena[0])
	return call{string(unsafe.Slice((*byte)(base), used*8)), uint32(uintptr(base))}
}

func at[T any](where address, items uint32) []T {
	if items == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(uintptr(where))), items)
}

func (call *call) string(text textABI) string {
	from := text.at - call.base
	if text.bytes == 0 {
		return ""
	} else if uint64(from)+uint64(text.bytes) <= uint64(len(call.text)) {
		return call.text[from : from+text.bytes]
	}
	return string(at[byte](text.at, text.bytes))
}

func (call *call) event(event *eventABI) Event {
	attributes := at[pairABI](event.attributes.at, event.attributes.items)
	facts := at[pairABI](event.facts.at, event.facts.items)
	pairs := make([]Pair, 0, len(attributes)+len(facts))
	for _, list := range [][]pairABI{attributes, facts} {
		for i := range list {
			pairs = append(pairs, Pair{call.string(list[i].name), call.string(list[i].value)})
		}
	}
	return Event{
		Engine: call.string(event.engine), Kind: call.string(event.kind), Action: call.string(event.action),
		Detail: call.string(event.detail), ActorID: call.string(event.actorID), Scope: call.string(event.scope),
		TimeNanos: event.timeNanos, Attributes: pairs[:len(attributes):len(attributes)], Facts: pairs[len(attributes):],
	}
}

// A `result`: whether it is an error, and a text or a list.
var (
	answer [3]uint32
	// What dockbell reads after the call is over.
	kept []any
)

func lowerText(text string) textABI {
	kept = append(kept, text)
	return textABI{uint32(uintptr(unsafe.Pointer(unsafe.StringData(text)))), uint32(len(text))}
}

func lowerList[T any](items []T) listABI {
	kept = append(kept, items)
	return listABI{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(items)))), uint32(len(items))}
}

func failed(reason string) unsafe.Pointer {
	text := lowerText(reason)
	answer = [3]uint32{1, text.at, text.bytes}
	return unsafe.Pointer(&answer)
}

// Does a call: an error, or a panic, becomes the answer's text.
func do(work func() error) (answered unsafe.Pointer) {
	kept, answer = kept[:0], [3]uint32{}
	defer func() {
		over = true
		if reason := recover(); reason != nil {
			answered = failed(fmt.Sprint("panic: ", reason))
		}
	}()
	if err := work(); err != nil {
		return failed(err.Error())
	}
	return unsafe.Pointer(&answer)
}
