package sqsclient

import "testing"

func TestTheShortcutComesBackAfterASuccess(t *testing.T) {
	var tr trust
	taken := func(what string, want bool) uint64 {
		t.Helper()
		term, got := tr.taken()
		if got != want {
			t.Fatalf("%s: taken is %v, want %v", what, got, want)
		}
		return term
	}
	first := taken("at first", true)
	tr.refused(first)
	tr.refused(first)
	taken("after two refusals of one time", false)
	tr.vouched()
	tr.vouched()
	term := taken("after a success of the SDK", true)
	tr.succeeded(first)
	tr.refused(term)
	for n := int64(2); n <= 4*mostWait; n *= 2 {
		want := min(n, mostWait)
		for range want {
			taken("refused again and again", false)
			tr.vouched()
		}
		tr.refused(taken("after the successes that it waits for", true))
	}
	for range mostWait {
		tr.vouched()
	}
	tr.succeeded(taken("once more", true))
	tr.refused(taken("after a success of its own", true))
	tr.vouched()
	taken("after its own success one of the SDK is enough", true)
}
