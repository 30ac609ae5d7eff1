package life

// State is where a service is in its life.
type State int

// The states, in their order; there is no way back.
const (
	Created  State = iota // made: breakers, logs and Send work
	Starting              // Start is under way
	Running               // tasks are taken
	Stopping              // the drain is under way
	Stopped
)

// String returns the state in lower case.
func (s State) String() string {
	return [...]string{"created", "starting", "running", "stopping", "stopped"}[s]
}
