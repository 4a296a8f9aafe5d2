package main

import (
	"testing"

	"example.com/my-plugin/dockbell"
)

func TestEachEventIsALine(t *testing.T) {
	event := dockbell.Event{Engine: "local", Action: "die", Attributes: []dockbell.Pair{{Name: "name", Value: "web-1"}}}
	batch := dockbell.Batch{Route: "default", Total: 1, Events: []dockbell.Event{event}}
	made, err := new(formatter).Format(&batch)
	if err != nil {
		t.Fatal(err)
	}
	if made[0].Subject != "1 events of default" || made[0].Alternatives[0].Content != "local web-1 die\n" {
		t.Error(made)
	}
}
