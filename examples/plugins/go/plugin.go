// rate-limit: lets at most so many events of one container (or service, or engine) pass in a time. Time is what the events say.
package main

import (
	"fmt"
	"time"

	"rate-limit/dockbell"
)

// Whose events have a limit of their own.
const maxKeys = 10_000

// A bucket holds what may still pass. It fills up evenly, and is never fuller than the limit.
type bucket struct {
	left float64
	at   int64
	held int
}

type limiter struct {
	Events int    `json:"events"`
	Per    string `json:"per"`
	By     string `json:"by"`

	perNano float64
	buckets map[string]*bucket
}

func (limiter *limiter) Configure(config string) error {
	limiter.Events, limiter.Per, limiter.By = 5, "1m", "container"
	if err := dockbell.Config(config, limiter); err != nil {
		return err
	}
	per, err := time.ParseDuration(limiter.Per)
	if err != nil || per <= 0 {
		return fmt.Errorf("`per` is %q; it must be a time such as \"30s\" or \"1h\"", limiter.Per)
	}
	if limiter.Events < 1 {
		return fmt.Errorf("`events` is %d; it must be at least 1", limiter.Events)
	}
	switch limiter.By {
	case "container", "service", "engine":
	default:
		return fmt.Errorf("`by` is %q; it must be \"container\", \"service\" or \"engine\"", limiter.By)
	}
	limiter.perNano = float64(limiter.Events) / float64(per)
	limiter.buckets = map[string]*bucket{}
	return nil
}

func (limiter *limiter) Accept(event *dockbell.Event) (bool, error) {
	key := limiter.key(event)
	found := limiter.buckets[key]
	if found == nil {
		if len(limiter.buckets) >= maxKeys {
			limiter.forget(event.TimeNanos)
		}
		found = &bucket{left: float64(limiter.Events), at: event.TimeNanos}
		limiter.buckets[key] = found
	}
	// Engines send events a little out of order: time never runs back.
	if passed := event.TimeNanos - found.at; passed > 0 {
		found.left = min(found.left+float64(passed)*limiter.perNano, float64(limiter.Events))
		found.at = event.TimeNanos
	}
	if found.left < 1 {
		found.held++
		return false, nil
	}
	if found.held > 0 {
		dockbell.Log(dockbell.Info, "%s: %d events were held back", key, found.held)
		found.held = 0
	}
	found.left--
	return true, nil
}

func (limiter *limiter) key(event *dockbell.Event) string {
	switch limiter.By {
	case "engine":
		return event.Engine
	case "service":
		// dockbell's own fact: no label can forge it.
		if identity, known := event.Fact("identity"); known {
			return event.Engine + " " + identity
		}
	}
	if name, named := event.Attribute("name"); named {
		return event.Engine + " " + name
	}
	return event.Engine + " " + event.ActorID
}

// Drops the buckets that are full again, for a new one is no different; where there are none, all of them.
func (limiter *limiter) forget(now int64) {
	for key, bucket := range limiter.buckets {
		if bucket.left+float64(now-bucket.at)*limiter.perNano >= float64(limiter.Events) {
			delete(limiter.buckets, key)
		}
	}
	if len(limiter.buckets) >= maxKeys {
		clear(limiter.buckets)
	}
}

func init() { dockbell.Export(&limiter{}) }

func main() {}
