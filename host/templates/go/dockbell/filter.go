package dockbell

// A Filter decides which events a route tells.
type Filter interface {
	// Configure is called once on each fresh instance, with the plugin's `config` as JSON. An error stops dockbell's start.
	Configure(config string) error
	// Accept says whether an event passes. The filter may keep state, but must cope with losing it: after a failed call
	// there is a fresh instance.
	Accept(event *Event) (bool, error)
}

var plugin Filter

// Export makes a filter the plugin; call it in `init`.
func Export(filter Filter) { plugin = filter }
