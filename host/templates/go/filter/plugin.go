// my-plugin: tells only containers that ended with an exit code of their own.
package main

import (
	"fmt"
	"strconv"

	"example.com/my-plugin/dockbell"
)

type filter struct {
	// The lowest exit code that is told.
	Lowest int `json:"lowest"`
}

func (filter *filter) Configure(config string) error {
	filter.Lowest = 1
	return dockbell.Config(config, filter)
}

func (filter *filter) Accept(event *dockbell.Event) (bool, error) {
	code, ended := event.Attribute("exitCode")
	if event.Action != "die" || !ended {
		return false, nil
	}
	number, err := strconv.Atoi(code)
	if err != nil {
		return false, fmt.Errorf("%q is not an exit code", code)
	}
	return number >= filter.Lowest, nil
}

func init() { dockbell.Export(&filter{}) }

func main() {}
