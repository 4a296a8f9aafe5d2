package main

import (
	"strings"
	"testing"

	"example.com/my-plugin/dockbell"
)

func TestOnlyContainersThatFailedAreTold(t *testing.T) {
	plugin := &filter{}
	if err := plugin.Configure("{}"); err != nil {
		t.Fatal(err)
	}
	for code, told := range map[string]bool{"0": false, "1": true, "137": true} {
		event := dockbell.Event{Action: "die", Attributes: []dockbell.Pair{{Name: "exitCode", Value: code}}}
		if pass, err := plugin.Accept(&event); pass != told || err != nil {
			t.Errorf("exit code %s: %v, %v", code, pass, err)
		}
	}
}

func TestAnUnknownKeyIsAnErrorThatNamesIt(t *testing.T) {
	err := new(filter).Configure(`{"low": 2}`)
	if err == nil || !strings.Contains(err.Error(), "low") {
		t.Error(err)
	}
}
