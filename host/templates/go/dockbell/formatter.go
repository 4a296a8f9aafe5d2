package dockbell

// A Formatter turns events into messages.
type Formatter interface {
	// Configure is called once on each fresh instance, with the plugin's `config` as JSON. An error stops dockbell's start.
	Configure(config string) error
	// Format makes the messages that tell a batch, usually one.
	Format(batch *Batch) ([]Notification, error)
}

var plugin Formatter

// Export makes a formatter the plugin; call it in `init`.
func Export(formatter Formatter) { plugin = formatter }
