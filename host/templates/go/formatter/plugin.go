// my-plugin: one line per event.
package main

import (
	"fmt"
	"strings"

	"example.com/my-plugin/dockbell"
)

type formatter struct{}

func (formatter *formatter) Configure(config string) error {
	return dockbell.Config(config, formatter)
}

func (formatter *formatter) Format(batch *dockbell.Batch) ([]dockbell.Notification, error) {
	whose := batch.Group
	if whose == "" {
		whose = batch.Route
	}
	var text strings.Builder
	for _, event := range batch.Events {
		name, named := event.Attribute("name")
		if !named {
			name = event.ActorID
		}
		fmt.Fprintf(&text, "%s %s %s\n", event.Engine, name, event.Action)
	}
	for _, note := range batch.Notes {
		fmt.Fprintf(&text, "note: %s\n", note)
	}
	subject := fmt.Sprintf("%d events of %s", batch.Total, whose)
	return []dockbell.Notification{dockbell.Plain(subject, text.String())}, nil
}

func init() { dockbell.Export(&formatter{}) }

func main() {}
