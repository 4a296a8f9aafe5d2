//go:build wasip1

package dockbell

import "unsafe"

type (
	alternativeABI  struct{ mediaType, content textABI }
	notificationABI struct {
		subject              textABI
		alternatives, fields listABI
	}
)

//go:wasmexport dockbell:plugin/setup@0.1.0#configure
func configure(at unsafe.Pointer, bytes uint32) unsafe.Pointer {
	return do(func() error { return plugin.Configure(string(unsafe.Slice((*byte)(at), bytes))) })
}

//go:wasmexport dockbell:plugin/formatter@0.1.0#format
func format(
	route address, routeBytes uint32, group address, groupBytes uint32, phase address, phaseBytes uint32,
	since, until int64, total uint32, counts address, countItems uint32,
	events address, eventItems uint32, notes address, noteItems uint32,
) unsafe.Pointer {
	return do(func() error {
		call := begin()
		batch := Batch{
			Route: call.string(textABI{route, routeBytes}), Group: call.string(textABI{group, groupBytes}),
			Phase: call.string(textABI{phase, phaseBytes}), SinceNanos: since, UntilNanos: until, Total: total,
		}
		for _, count := range at[countABI](counts, countItems) {
			batch.Counts = append(batch.Counts, Count{call.string(count.what), count.count})
		}
		given := at[eventABI](events, eventItems)
		for i := range given {
			batch.Events = append(batch.Events, call.event(&given[i]))
		}
		for _, note := range at[textABI](notes, noteItems) {
			batch.Notes = append(batch.Notes, call.string(note))
		}
		made, err := plugin.Format(&batch)
		if err != nil {
			return err
		}
		lowered := make([]notificationABI, len(made))
		for i, message := range made {
			forms := make([]alternativeABI, len(message.Alternatives))
			for j, form := range message.Alternatives {
				forms[j] = alternativeABI{lowerText(form.MediaType), lowerText(form.Content)}
			}
			fields := make([]pairABI, len(message.Fields))
			for j, field := range message.Fields {
				fields[j] = pairABI{lowerText(field.Name), lowerText(field.Value)}
			}
			lowered[i] = notificationABI{lowerText(message.Subject), lowerList(forms), lowerList(fields)}
		}
		list := lowerList(lowered)
		answer[1], answer[2] = list.at, list.items
		return nil
	})
}
