// Package dockbell makes filters and formatters for dockbell. Renewed by `dockbell plugin build`.
package dockbell

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Pair is a name and a value.
type Pair struct{ Name, Value string }

// Event is one event of a container engine; wit/v0.1/types.wit says what each part means.
type Event struct {
	Engine, Kind, Action, Detail, ActorID, Scope string
	TimeNanos                                    int64
	Attributes, Facts                            []Pair
}

// Attribute is the value of an attribute. Labels are attributes, so whoever builds an image can forge each but `name` and
// `image`.
func (event *Event) Attribute(name string) (string, bool) { return value(event.Attributes, name) }

// Fact is the value of a fact that dockbell found out itself.
func (event *Event) Fact(name string) (string, bool) { return value(event.Facts, name) }

// Count is how many events of one kind and action there were.
type Count struct {
	What  string
	Count uint32
}

// Batch is what one message is made of.
type Batch struct {
	Route, Group, Phase    string
	SinceNanos, UntilNanos int64
	Total                  uint32
	Counts                 []Count
	Events                 []Event
	Notes                  []string
}

// Alternative is one way to write a message's content.
type Alternative struct{ MediaType, Content string }

// Notification is a message; `text/plain` must be among its alternatives.
type Notification struct {
	Subject      string
	Alternatives []Alternative
	Fields       []Pair
}

// Plain is a message of plain text.
func Plain(subject, text string) Notification {
	return Notification{Subject: subject, Alternatives: []Alternative{{"text/plain", text}}}
}

// Level is how much a line of the log matters.
type Level int32

// The levels.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Log writes a line to dockbell's log, under the plugin's name.
func Log(level Level, format string, values ...any) { log(level, fmt.Sprintf(format, values...)) }

// Config reads the plugin's configuration into a struct. A key that is none of its fields is an error.
func Config(config string, into any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(config)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func value(pairs []Pair, name string) (string, bool) {
	for _, pair := range pairs {
		if pair.Name == name {
			return pair.Value, true
		}
	}
	return "", false
}
