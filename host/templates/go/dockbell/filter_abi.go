//go:build wasip1

package dockbell

import "unsafe"

//go:wasmexport dockbell:plugin/setup@0.1.0#configure
func configure(at unsafe.Pointer, bytes uint32) unsafe.Pointer {
	return do(func() error { return plugin.Configure(string(unsafe.Slice((*byte)(at), bytes))) })
}

//go:wasmexport dockbell:plugin/filter@0.1.0#accept
func accept(given unsafe.Pointer) unsafe.Pointer {
	return do(func() error {
		call := begin()
		event := call.event((*eventABI)(given))
		return decide(&event)
	})
}

// The same event with all its texts in one.
//
//go:wasmexport dockbell:plugin/packed-filter@0.1.0#accept
func acceptPacked(text unsafe.Pointer, bytes uint32, ends unsafe.Pointer, endsBytes, attributes uint32, timeNanos int64) unsafe.Pointer {
	return do(func() error {
		event := unpack(string(unsafe.Slice((*byte)(text), bytes)), unsafe.Slice((*uint32)(ends), endsBytes/4), attributes)
		event.TimeNanos = timeNanos
		return decide(&event)
	})
}

func decide(event *Event) error {
	pass, err := plugin.Accept(event)
	if pass {
		answer[1] = 1
	}
	return err
}

func unpack(text string, ends []uint32, attributes uint32) Event {
	start := uint32(0)
	next := func() string {
		part := text[start:ends[0]]
		start, ends = ends[0], ends[1:]
		return part
	}
	event := Event{Engine: next(), Kind: next(), Action: next(), Detail: next(), ActorID: next(), Scope: next()}
	pairs := make([]Pair, len(ends)/2)
	for i := range pairs {
		pairs[i] = Pair{next(), next()}
	}
	event.Attributes, event.Facts = pairs[:attributes:attributes], pairs[attributes:]
	return event
}
