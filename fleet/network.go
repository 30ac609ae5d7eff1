package fleet

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/internal/clip"
)

// Bounds of the membership.
const (
	maxMembers  = 1000
	maxPending  = 4096 // messages of the network that the agent has not taken yet
	maxQueued   = 4096 // words that wait to be gossiped
	maxStraight = 31   // members that get each word straight, besides the gossip
)

// Each member passes a word on to gossipNodes others in each interval, and
// retransmits·log10(members) times in all. With 3 and 3, in a fleet of ten one of 1 500
// members hears a word by gossip never, and has to wait for an exchange of all words, up
// to five seconds; with 4 and 6 one of a million.
const (
	gossipNodes = 4
	retransmits = 6
)

// network is the membership of one process. memberlist calls its methods from its own
// goroutines, some of them under its lock: they only post to the agent.
type network struct {
	list    *memberlist.Memberlist
	queue   rumors
	keyring *memberlist.Keyring
	name    string
	addr    string // own, ip:port
	post    func(any)
	orders  func(*message) // takes in orders and their answers
	state   func() []byte
	log     *slog.Logger

	out     chan packet
	sending sync.WaitGroup

	members atomic.Int64  // alive, this one included
	known   sync.Map      // names of members, for NotifyAlive
	pending atomic.Int64  // messages on their way to the agent
	refused atomic.Uint64 // messages of the network that were garbage, or too many
	mute    atomic.Bool   // tests alone: straight packets are lost
	closing atomic.Bool   // nothing is posted any more
}

// packet is one message to some members.
type packet struct {
	to []*memberlist.Node
	b  []byte
}

// Messages of the network to the agent.
type (
	joined struct {
		name string
		node *memberlist.Node // a copy
	}
	left  struct{ name string }
	heard struct{ message *message }
)

func (joined) IgnoreDeadLetterLogging() {}
func (left) IgnoreDeadLetterLogging()   {}
func (heard) IgnoreDeadLetterLogging()  {}

// wrapper puts something between memberlist and the network: in tests, a partition.
type wrapper func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport

// open takes the port and begins to listen.
func (n *network) open(s Settings, label string, wrap wrapper) error {
	ip, port, err := s.bind()
	if err != nil {
		return err
	}
	keys, err := s.keys()
	if err != nil {
		return err
	}
	logger := log.New(logWriter{n.log}, "", 0)
	transport, err := listen(ip, port, logger)
	if err != nil {
		return fmt.Errorf("listen on %s, UDP and TCP: %w: give the setting bind another port, or 0 for a free one",
			s.Bind, err)
	}
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.Logger = n.name, label, logger
	c.BindAddr, c.BindPort = ip.String(), transport.GetAutoBindPort()
	c.AdvertisePort = c.BindPort
	if !ip.IsUnspecified() {
		c.AdvertiseAddr = ip.String()
	}
	c.TCPTimeout, c.PushPullInterval, c.GossipInterval = 2*time.Second, 5*time.Second, 100*time.Millisecond
	c.GossipNodes = gossipNodes
	c.DeadNodeReclaimTime = time.Second
	c.EnableCompression = false // words are short
	c.Delegate, c.Events, c.Alive, c.Conflict = n, n, n, n
	c.Transport = transport
	if wrap != nil {
		c.Transport = wrap(transport)
	}
	if len(keys) > 0 {
		if n.keyring, err = memberlist.NewKeyring(keys, keys[0]); err != nil {
			return errors.Join(err, transport.Shutdown())
		}
		c.Keyring = n.keyring
	}
	n.out = make(chan packet, 256)
	if n.list, err = memberlist.Create(c); err != nil {
		return errors.Join(fmt.Errorf("begin the membership: %w", err), transport.Shutdown())
	}
	self := n.list.LocalNode()
	n.addr = net.JoinHostPort(self.Addr.String(), strconv.Itoa(int(self.Port)))
	n.sending.Add(1)
	go n.send()
	return nil
}

// listen opens the transport. A free port of TCP may be in use by UDP: then another is taken.
func listen(ip net.IP, port int, logger *log.Logger) (t *memberlist.NetTransport, err error) {
	for range 10 {
		t, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{ip.String()}, BindPort: port, Logger: logger})
		if err == nil || port != 0 {
			return t, err
		}
	}
	return nil, err
}

// close leaves the fleet and ends all goroutines.
func (n *network) close(within time.Duration) error {
	n.closing.Store(true)
	left := n.list.Leave(within)
	err := n.list.Shutdown()
	close(n.out)
	n.sending.Wait()
	if left != nil && n.members.Load() > 1 {
		n.log.Debug("the others do not know yet that this member has left", "error", left)
	}
	return err
}

// rekey puts other keys in force: those that are new are added first, so that no message
// of a member that is ahead is lost.
func (n *network) rekey(keys [][]byte) error {
	if n.keyring == nil || len(keys) == 0 {
		return errors.New("a fleet cannot begin or end to encrypt while it runs: stop all members for that")
	}
	for _, key := range keys {
		if err := n.keyring.AddKey(key); err != nil {
			return err
		}
	}
	if err := n.keyring.UseKey(keys[0]); err != nil {
		return err
	}
	for _, old := range n.keyring.GetKeys() {
		if !slices.ContainsFunc(keys, func(k []byte) bool { return string(k) == string(old) }) {
			if err := n.keyring.RemoveKey(old); err != nil {
				return err
			}
		}
	}
	return nil
}

// straight sends a message to members at once. It does not wait: what the sender has
// no room for is left to the gossip.
func (n *network) straight(to []*memberlist.Node, b []byte) {
	if n.mute.Load() || n.closing.Load() {
		return
	}
	select {
	case n.out <- packet{to, b}:
	default:
		n.refused.Add(1)
	}
}

// gossip lets the message of a name go from member to member, in place of the one before.
func (n *network) gossip(name string, b []byte) {
	n.queue.put(name, b)
}

func (n *network) send() {
	defer n.sending.Done()
	for p := range n.out {
		for _, node := range p.to {
			if err := n.list.SendBestEffort(node, p.b); err != nil {
				n.log.Debug("a word was not sent", "member", node.Name, "error", err)
			}
		}
	}
}

// offer posts what came from the network, unless too much of it waits.
func (n *network) offer(m *message) {
	if n.closing.Load() {
		return
	}
	if n.pending.Add(1) > maxPending {
		n.pending.Add(-1)
		n.refused.Add(1)
		return
	}
	n.post(heard{m})
}

// NodeMeta implements memberlist.Delegate.
func (n *network) NodeMeta(int) []byte { return nil }

// NotifyMsg implements memberlist.Delegate.
func (n *network) NotifyMsg(b []byte) {
	m, err := decode(b, maxPacket)
	if err != nil {
		n.refused.Add(1)
		return
	}
	if m.Orders != nil || m.Taken != nil {
		n.orders(m)
		m.Orders, m.Taken = nil, nil
		if len(m.Words) == 0 && m.Demand == nil && m.Digest == nil {
			return
		}
	}
	n.offer(m)
}

// GetBroadcasts implements memberlist.Delegate.
func (n *network) GetBroadcasts(overhead, limit int) [][]byte {
	return n.queue.next(overhead, limit, max(1, int(n.members.Load())))
}

// LocalState implements memberlist.Delegate.
func (n *network) LocalState(bool) []byte {
	if n.closing.Load() {
		return nil
	}
	return n.state()
}

// MergeRemoteState implements memberlist.Delegate.
func (n *network) MergeRemoteState(b []byte, _ bool) {
	if len(b) == 0 {
		return
	}
	m, err := decode(b, maxState)
	if err != nil {
		n.refused.Add(1)
		return
	}
	m.Orders, m.Taken = nil, nil // they are no state
	n.offer(m)
}

// NotifyAlive implements memberlist.AliveDelegate: it refuses members that are too many,
// and names that are not fit to be shown.
func (n *network) NotifyAlive(peer *memberlist.Node) error {
	if _, ok := n.known.Load(peer.Name); ok {
		return nil
	}
	if peer.Name == "" || len(peer.Name) > register.MaxName || strings.ContainsFunc(peer.Name, clip.Unsafe) {
		n.refused.Add(1)
		return errors.New("the name is empty, too long or not printable")
	}
	if n.members.Load() >= maxMembers {
		n.refused.Add(1)
		return fmt.Errorf("the fleet has %d members, the most there may be", maxMembers)
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (n *network) NotifyJoin(node *memberlist.Node) {
	n.members.Add(1)
	n.known.Store(node.Name, nil)
	own := *node // what it points to is memberlist's
	own.Meta = nil
	own.Addr = slices.Clone(node.Addr)
	if !n.closing.Load() {
		n.post(joined{node.Name, &own})
	}
}

// NotifyUpdate implements memberlist.EventDelegate.
func (n *network) NotifyUpdate(node *memberlist.Node) {
	own := *node
	own.Meta = nil
	own.Addr = slices.Clone(node.Addr)
	if !n.closing.Load() {
		n.post(joined{node.Name, &own})
	}
}

// NotifyLeave implements memberlist.EventDelegate.
func (n *network) NotifyLeave(node *memberlist.Node) {
	n.members.Add(-1)
	n.known.Delete(node.Name)
	if !n.closing.Load() {
		n.post(left{node.Name})
	}
}

// NotifyConflict implements memberlist.ConflictDelegate. Names have a random part, so
// two members of one name are a copy of a running process, or a stranger.
func (n *network) NotifyConflict(existing, other *memberlist.Node) {
	n.log.Warn("two members of the fleet have one name", "name", clip.ID(existing.Name), "one", existing.Address(),
		"other", clip.Line(other.Address(), 100))
}

// logWriter logs memberlist's own lines. They speak of what any stranger can send, so
// they are of level debug.
type logWriter struct{ log *slog.Logger }

// Write implements io.Writer.
func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug(clip.Line(strings.TrimSpace(string(b)), 500))
	return len(b), nil
}
