package dispatcher

import (
	"testing"

	"github.com/sambatech/chassis/actors/poller"
)

// TestDuplicates goes through what may happen to the deliveries of one message.
func TestDuplicates(t *testing.T) {
	var ds duplicates
	delivery := func(lease poller.LeaseID, id string) *poller.Delivered {
		return &poller.Delivered{Lease: lease, MessageID: id}
	}
	leases := func(all []*poller.Delivered) (list []poller.LeaseID) {
		for _, m := range all {
			list = append(list, m.Lease)
		}
		return list
	}
	first := &execution{messageID: "a", lease: 1}
	if ds.wait(delivery(1, "a")) || !ds.none() {
		t.Error("the first delivery waits")
	}
	ds.begin(first)
	for lease := poller.LeaseID(2); lease < 5; lease++ {
		if !ds.wait(delivery(lease, "a")) {
			t.Errorf("delivery %d does not wait", lease)
		}
	}
	if ds.wait(delivery(9, "b")) || ds.none() {
		t.Error("a delivery of another message waits, or none does")
	}
	ds.drop(3)
	ds.drop(77)
	if all := ds.end(&execution{messageID: "a", lease: 8}); all != nil {
		t.Errorf("an execution that is not the first had %v behind it", leases(all))
	}
	if all := leases(ds.end(first)); len(all) != 2 || all[0] != 2 || all[1] != 4 {
		t.Errorf("behind the first were %v", all)
	}
	ds.settling(2)
	if ds.wait(delivery(5, "a")) || ds.none() {
		t.Error("a delivery waits behind one that has left, or nothing is being settled")
	}
	ds.begin(first)
	ds.wait(delivery(6, "a"))
	ds.drop(6)
	ds.drop(2)
	if !ds.none() {
		t.Errorf("left: %+v", ds)
	}
}
