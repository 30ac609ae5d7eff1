package localsqs

// CheckpointFrom lets the journal be taken into the queue file whenever it has
// grown to n bytes.
func CheckpointFrom(n int64) Option { return func(c *config) { c.checkpointFrom = n } }
