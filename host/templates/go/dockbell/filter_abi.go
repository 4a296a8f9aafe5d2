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
		pass, err := plugin.Accept(&event)
		if pass {
			answer[1] = 1
		}
		return err
	})
}
