package chassistest

import "testing"

// SearchForTest plays seeds until one fails. It returns how many seeds that took and
// what was found; nothing is found if all seeds pass.
func SearchForTest(t *testing.T, play func(*World), opts ...StormOption) (seeds uint64, found []Finding) {
	s := newStorm(t, play, opts)
	r := s.search()
	if r == nil {
		return uint64(s.seeds), nil
	}
	return r.schedule.Seed - s.first + 1, r.findings
}
