package breaker

// stage is how far an exchange has come. The service is waited for in
// stageHeaders and stageReading alone, and there only while the base is not
// reading the caller's own body: no clock runs at any other time.
type stage uint8

const (
	stageHeaders stage = iota // the request is being sent, or its headers are awaited
	stageJudging              // the headers have come, and are being judged
	stagePaused               // the caller does not read the body
	stageReading              // the caller waits for a piece of the body
	stageLate                 // the service was given up: it kept the call waiting for too long
	stageEnded                // the body has ended or was closed
)

// String returns the stage's name.
func (s stage) String() string {
	return [...]string{"headers", "judging", "paused", "reading", "late", "ended"}[s]
}

// upload is what becomes of the body of the request.
type upload uint8

const (
	uploadIdle    upload = iota // the base does not read it
	uploadReading               // the base reads it: the service waits for the caller
	uploadFailed                // it failed by itself: no error of the call is the service's
)

// String returns the name of the state of the upload.
func (u upload) String() string { return [...]string{"idle", "reading", "failed"}[u] }

// settlement is what is known of the outcome of an exchange.
type settlement uint8

const (
	unsettled settlement = iota
	overdue              // a probe: its time has passed while the service was waited for
	settled              // the outcome is registered, or about to be
)

// String returns the settlement's name.
func (s settlement) String() string { return [...]string{"unsettled", "overdue", "settled"}[s] }
