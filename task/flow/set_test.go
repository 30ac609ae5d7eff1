package flow

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestSetKeepsItsMembersOverTheWire(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 10, 100, 1000, 4000, shardSize - 1, shardSize} {
		var s set
		for s.count() < n {
			if i := random.IntN(shardSize); n < shardSize/2 || n >= shardSize-1 {
				for s.has(i) {
					i = (i + 1) % shardSize
				}
				s.add(i)
			} else {
				s.add(i)
			}
		}
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back set
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%d members: %v, %d are back", n, err, back.count())
		}
		if len(text) > shardSize/8*4/3+3 {
			t.Errorf("%d members take %d bytes", n, len(text))
		}
		if got := len(s.first(50)); got != min(n, 50) {
			t.Errorf("the first 50 of %d are %d", n, got)
		}
		if s.below(shardSize) != n || s.below(0) != 0 {
			t.Errorf("below: %d of %d", s.below(shardSize), n)
		}
	}
}

func FuzzSet(f *testing.F) {
	for _, s := range []string{"", "r", "b", "rAAE", "r////", "bAAAA", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s set
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		again, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back set
		if err := back.UnmarshalText(again); err != nil || back != s {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// parts are all reports of a group with failures, in any order, some of them twice.
func somePartials(random *rand.Rand, members int) []*partial {
	var list []*partial
	add := func(body string) {
		for range 1 + random.IntN(2) {
			p, err := decodePartial(body)
			if err != nil {
				panic(err)
			}
			list = append(list, p)
		}
	}
	for i := range members {
		add(report("q.fifo", seat{"g", i}, random.IntN(5) > 0).Body)
		if random.IntN(7) == 0 { // a duplicate that ended in another way
			add(report("q.fifo", seat{"g", i}, true).Body)
		}
	}
	head, err := headOf(place{Queue: "q.fifo"}, "g", members, false, origin{"j", "n", ""})
	if err != nil {
		panic(err)
	}
	add(head.Body)
	random.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	return list
}

func TestUnionIsTheSameInAnyOrderAndTwice(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		list := somePartials(random, 1+random.IntN(60))
		join := func() *partial {
			u := &partial{Group: "g"}
			for i, p := range list {
				if i < len(list)-1 && u.whole() && u.ended(shardSize) > u.Head.Members {
					t.Fatal("more members than there are")
				}
				u.union(p)
			}
			return u
		}
		a := join()
		random.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		b := join()
		b.union(a)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Fatalf("one order gives\n%s\nanother\n%s", x, y)
		}
		if !a.whole() {
			t.Fatal("all reports are not the whole set")
		}
	}
}

func TestShardsMakeOneGroup(t *testing.T) {
	for _, members := range []int{shardSize, shardSize + 1, 3 * shardSize, 3*shardSize + 77} {
		root := &partial{Group: "g", Head: &head{Members: members}}
		failed := 0
		for k := range shards(members) {
			s := &partial{Group: "g", Shard: k}
			if seal, ok := sealOf("q.fifo", "g", members); ok {
				p, err := decodePartial(seal.Body)
				if err != nil {
					t.Fatal(err)
				}
				if p.Shard == k {
					s.union(p)
				}
			}
			for i := k * shardSize; i < min(members, (k+1)*shardSize); i++ {
				if k > 0 && s.whole() {
					t.Fatalf("%d members: shard %d is whole without member %d", members, k, i)
				}
				p, err := decodePartial(report("q.fifo", seat{"g", i}, i%100 != 3).Body)
				if err != nil {
					t.Fatal(err)
				}
				if i%100 == 3 {
					failed++
				}
				if p.Shard != k {
					t.Fatalf("member %d reports to shard %d", i, p.Shard)
				}
				s.union(p)
			}
			if k == 0 {
				root.union(s)
				continue
			}
			if root.whole() {
				t.Fatalf("%d members: whole without shard %d", members, k)
			}
			if !s.whole() {
				t.Fatalf("%d members: shard %d is not whole", members, k)
			}
			root.union(&partial{Group: "g", Sums: map[int]sum{k: s.sum()}})
		}
		if !root.whole() {
			t.Fatalf("%d members are not whole", members)
		}
		o := root.outcome()
		if o.Failed != failed || o.Done != members-failed || len(o.FailedMembers) > MaxListed {
			t.Errorf("%d members, %d failed: %+v", members, failed, o)
		}
		for _, i := range o.FailedMembers {
			if i%100 != 3 {
				t.Errorf("member %d is said to have failed", i)
			}
		}
	}
}

func TestGarbageIsNoPartOfAGroup(t *testing.T) {
	for _, body := range []string{"", "null", "{}", "[]", `{"g":"x","k":-1}`, `{"g":"x","k":99999999}`, `{"g":"x","z":99999}`,
		`{"g":"x","d":"r////////"}`, `{"g":"x","h":{"m":-1}}`, `{"g":"x","h":{"m":99999999999}}`, `{"g":"x","h":{"m":1}}`,
		`{"g":"x","s":{"0":{}}}`, `{"g":"x","s":{"1":{"x":-5}}}`, `{"g":"x","h":{"m":1,"p":{"q":"no-fifo"}}}`} {
		if p, err := decodePartial(body); err == nil {
			t.Errorf("%s is taken for %+v", body, p)
		}
	}
}

func TestPlaceIsKeptOverTheWire(t *testing.T) {
	p := place{Queue: "q-flow.fifo", Flow: "f", Seat: &seat{"g", 7}}
	for range 2 {
		text, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range text {
			if c >= 0x7F || c < ' ' {
				t.Fatalf("the attribute holds %q", c)
			}
		}
		back, err := decodePlace(text)
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Errorf("%v: got %+v, want %+v", err, back, p)
		}
		for i := range 100 { // compressed
			p.Rest = append(p.Rest, link{Name: "täsk\U0001F600", Body: json.RawMessage(`{"a":1}`), Pool: "p", Delay: i})
		}
	}
}

func TestGarbageIsNoPlace(t *testing.T) {
	for _, text := range []string{"", "{}", "z", "z!!", "zAAAA", "null", `{"q":"x"}`, `{"q":"x.fifo","s":{"g":"","i":1}}`,
		`{"q":"x.fifo","s":{"g":"y","i":-1}}`, `{"q":"x.fifo","s":{"g":"y","i":100000000}}`} {
		if p, err := decodePlace(text); err == nil {
			t.Errorf("%s is taken for %+v", text, p)
		}
	}
}
