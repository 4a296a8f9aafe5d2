package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rate-limit/dockbell"
)

func configured(t *testing.T, config string) *limiter {
	t.Helper()
	limiter := &limiter{}
	if err := limiter.Configure(config); err != nil {
		t.Fatal(err)
	}
	return limiter
}

func event(name string, at time.Duration) *dockbell.Event {
	return &dockbell.Event{
		Engine: "local", TimeNanos: int64(at), Attributes: []dockbell.Pair{{Name: "name", Value: name}},
		Facts: []dockbell.Pair{{Name: "identity", Value: "shop/web"}},
	}
}

func passed(t *testing.T, limiter *limiter, events ...*dockbell.Event) (answers []bool) {
	t.Helper()
	for _, event := range events {
		pass, err := limiter.Accept(event)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, pass)
	}
	return answers
}

func TestWhatIsTooMuchIsHeldBackUntilTimeHasPassed(t *testing.T) {
	limiter := configured(t, `{"events": 2, "per": "1m"}`)
	answers := passed(t, limiter, event("a", 0), event("a", 1), event("a", 2), event("b", 3), event("a", 29*time.Second),
		event("a", 31*time.Second), event("a", 32*time.Second), event("a", 30*time.Second), event("a", time.Hour))
	if fmt.Sprint(answers) != "[true true false true false true false false true]" {
		t.Error(answers)
	}
}

func TestContainersOfAServiceCanShareALimit(t *testing.T) {
	limiter := configured(t, `{"events": 1, "by": "service"}`)
	if answers := passed(t, limiter, event("a", 0), event("b", 0)); answers[1] {
		t.Error(answers)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	limiter := configured(t, "{}")
	for i := range 3 * maxKeys {
		passed(t, limiter, event(fmt.Sprint(i), time.Duration(i)))
	}
	if len(limiter.buckets) > maxKeys {
		t.Error(len(limiter.buckets))
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for config, wanted := range map[string]string{
		`{"event": 2}`: "event", `{"events": 0}`: "`events`", `{"per": "soon"}`: "`per`", `{"by": "name"}`: "`by`",
	} {
		if err := new(limiter).Configure(config); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Error(config, err)
		}
	}
}
