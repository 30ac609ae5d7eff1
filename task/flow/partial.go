package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/task"
)

// Outcome is what a group came to. It is the body of what follows a group by [Next].
type Outcome struct {
	Group         string `json:"group"` // its id
	Members       int    `json:"members"`
	Done          int    `json:"done"`
	Failed        int    `json:"failed"`                   // for good
	FailedMembers []int  `json:"failed_members,omitempty"` // some of them, at most [MaxListed], by their place from 0
}

// MaxListed is the most members that an [Outcome] lists.
const MaxListed = 100

// ExecID is the exec_id of the first task of a member, by its place from 0.
func (o Outcome) ExecID(member int) string { return memberID(o.Group, member) }

func (o Outcome) json() json.RawMessage {
	text, err := json.Marshal(o)
	if err != nil { // numbers and a string: cannot be
		panic(err)
	}
	return text
}

// partial is what one message of the flow's queue says of a shard of a group: a part of
// the set of members that have ended. A union of two is again one.
//
// The first shard is also that of the group: it gathers the summaries of the others, and
// the head, which says how many members there are and what follows.
type partial struct {
	Group  string      `json:"g"`
	Shard  int         `json:"k,omitempty"`
	Done   *set        `json:"d,omitempty"`
	Failed *set        `json:"x,omitempty"`
	Size   int         `json:"z,omitempty"` // members of the last shard, once it is known
	Head   *head       `json:"h,omitempty"`
	Sums   map[int]sum `json:"s,omitempty"` // of the shards from the second on
	Since  int64       `json:"t,omitempty"` // Unix time of its oldest part
}

// head is the end of a group: it comes when all members have been sent.
type head struct {
	Members int    `json:"m"`
	All     bool   `json:"a,omitempty"`
	Place   place  `json:"p"` // of the group
	Origin  origin `json:"o"`
}

// sum is a whole shard.
type sum struct {
	Failed int   `json:"x,omitempty"`
	Which  []int `json:"w,omitempty"` // the first of them, in the group
}

// listed is how many failed members a summary lists.
const listed = 16

var errPartial = errors.New("not a part of a group")

func decodePartial(body string) (*partial, error) {
	p := &partial{}
	if err := json.Unmarshal([]byte(body), p); err != nil {
		return nil, fmt.Errorf("%w: %w", errPartial, err)
	}
	shards := MaxMembers/shardSize + 1
	switch {
	case p.Group == "", p.Shard < 0, p.Shard > shards, p.Size < 0, p.Size > shardSize, len(p.Sums) > shards:
		return nil, errPartial
	case p.Head != nil && (p.Head.Members < 1 || p.Head.Members > MaxMembers):
		return nil, fmt.Errorf("%w: a group of %d", errPartial, p.Head.Members)
	case p.Head != nil:
		if err := p.Head.Place.check(); err != nil {
			return nil, fmt.Errorf("%w: %w", errPartial, err)
		}
	}
	for k, s := range p.Sums {
		if k < 1 || k > shards || s.Failed < 0 || s.Failed > shardSize || len(s.Which) > listed {
			return nil, errPartial
		}
	}
	return p, nil
}

// union adds what o says. The order of unions does not matter, nor does how often a part
// is added: a member that has failed and is done, for its dead letter was sent back, is done.
func (p *partial) union(o *partial) {
	p.Done, p.Failed = unite(p.Done, o.Done), unite(p.Failed, o.Failed)
	if p.Done != nil && p.Failed != nil {
		p.Failed.minus(p.Done)
	}
	p.Size = max(p.Size, o.Size)
	if o.Head != nil && (p.Head == nil || o.Head.over(p.Head)) {
		p.Head = o.Head
	}
	for k, s := range o.Sums {
		if p.Sums == nil {
			p.Sums = map[int]sum{}
		}
		if mine, ok := p.Sums[k]; !ok || s.before(mine) {
			p.Sums[k] = s
		}
	}
	if o.Since != 0 && (p.Since == 0 || o.Since < p.Since) {
		p.Since = o.Since
	}
}

func unite(a, b *set) *set {
	if b == nil {
		return a
	}
	c := *b
	if a != nil {
		c.union(a)
	}
	return &c
}

// over reports whether h counts in place of o. They differ if a batch was sent twice, and
// its members were not the same.
func (h *head) over(o *head) bool {
	if h.Members != o.Members {
		return h.Members > o.Members
	}
	a, _ := json.Marshal(h) // plain values
	b, _ := json.Marshal(o)
	return bytes.Compare(a, b) > 0
}

// before reports whether s counts in place of o: the one with fewer failed members.
func (s sum) before(o sum) bool {
	if s.Failed != o.Failed {
		return s.Failed < o.Failed
	}
	for i := range min(len(s.Which), len(o.Which)) {
		if s.Which[i] != o.Which[i] {
			return s.Which[i] < o.Which[i]
		}
	}
	return len(s.Which) < len(o.Which)
}

// whole reports whether all members of the shard have ended, and, of the first shard, all
// of the group.
func (p *partial) whole() bool {
	want := shardSize
	switch {
	case p.Shard > 0 && p.Size > 0:
		want = p.Size
	case p.Shard == 0 && p.Head == nil:
		return false
	case p.Shard == 0:
		want = min(p.Head.Members, shardSize)
		for k := 1; k < shards(p.Head.Members); k++ {
			if _, ok := p.Sums[k]; !ok {
				return false
			}
		}
	}
	return p.ended(want) == want
}

// ended counts the members below a number that have ended.
func (p *partial) ended(below int) (n int) {
	for _, s := range []*set{p.Done, p.Failed} {
		if s != nil {
			n += s.below(below)
		}
	}
	return n
}

// shards is how many message groups a group of so many members has.
func shards(members int) int { return (members + shardSize - 1) / shardSize }

// sum is that of a whole shard.
func (p *partial) sum() sum {
	if p.Failed == nil {
		return sum{}
	}
	s := sum{Failed: p.Failed.count(), Which: p.Failed.first(listed)}
	for i := range s.Which {
		s.Which[i] += p.Shard * shardSize
	}
	return s
}

// outcome is that of a whole group.
func (p *partial) outcome() Outcome {
	o := Outcome{Group: p.Group, Members: p.Head.Members}
	if p.Failed != nil {
		o.Failed, o.FailedMembers = p.Failed.below(min(p.Head.Members, shardSize)), p.Failed.first(MaxListed)
	}
	for k := 1; k < shards(p.Head.Members); k++ {
		s := p.Sums[k]
		o.Failed += s.Failed
		for _, i := range s.Which {
			if len(o.FailedMembers) < MaxListed {
				o.FailedMembers = append(o.FailedMembers, i)
			}
		}
	}
	o.Done = o.Members - o.Failed
	return o
}

// messageGroup is that of a shard.
func (p *partial) messageGroup() string {
	if p.Shard == 0 {
		return p.Group
	}
	return fmt.Sprint(p.Group, ".", p.Shard)
}

// message is p on its way to the flow's queue. Of those with one id the queue takes the
// first within five minutes: only what says the same each time may have one.
func (p *partial) message(queue, dedup string) task.Outgoing {
	body, err := json.Marshal(p)
	if err != nil { // plain values: cannot be
		panic(err)
	}
	return task.Outgoing{Pool: queue, Body: ascii(body), GroupID: p.messageGroup(), DedupID: dedup}
}

// report is the message by which a member says that it has ended.
func report(queue string, s seat, ok bool) task.Outgoing {
	p := partial{Group: s.Group, Shard: s.Index / shardSize}
	only := &set{}
	only.add(s.Index % shardSize)
	word := "done"
	if ok {
		p.Done = only
	} else {
		p.Failed, word = only, "failed"
	}
	return p.message(queue, derive(s.Group, fmt.Sprint(word, "/", s.Index)))
}

// headOf is the message that says what a group is.
func headOf(p place, group string, members int, all bool, o origin) (task.Outgoing, error) {
	h := partial{Group: group, Head: &head{Members: members, All: all, Place: p, Origin: o}}
	out := h.message(p.Queue, derive(group, fmt.Sprint("head/", members)))
	if n := len(out.Body); n > task.MaxSize-maxSets {
		return out, fmt.Errorf("what follows a group: %w: %d bytes, it may have %d", errTooLarge, n,
			task.MaxSize-maxSets)
	}
	return out, nil
}

// maxSets bounds what sets and summaries add to the message of a head, in bytes.
const maxSets = 256 << 10

// sealOf is the message that says how many members the last shard has, or false where
// that goes without saying.
func sealOf(queue, group string, members int) (task.Outgoing, bool) {
	last := shards(members) - 1
	if last < 1 || members%shardSize == 0 {
		return task.Outgoing{}, false
	}
	p := partial{Group: group, Shard: last, Size: members % shardSize}
	return p.message(queue, derive(group, fmt.Sprint("seal/", members))), true
}
