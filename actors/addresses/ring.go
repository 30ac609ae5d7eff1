package addresses

import "slices"

const (
	guarded   = 2  // inboxes of live processes that each process looks at
	mostLooks = 20 // inboxes that are looked at in one round
)

// ring returns the inboxes that a process looks at: those behind its own in the order of
// their names, up to the second that is known to live. So each inbox is looked at by the two
// live processes before it, and a process that is alone looks at all. Pure.
func ring(names []string, own string, known map[string]verdict) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	at, found := slices.BinarySearch(names, own)
	if found {
		names = slices.Delete(names, at, at+1)
	}
	names = append(names[at:len(names):len(names)], names[:at]...)
	living := 0
	for i, name := range names {
		if i == mostLooks {
			return names[:i]
		}
		if known[name] == lives {
			if living++; living == guarded {
				return names[:i+1]
			}
		}
	}
	return names
}
