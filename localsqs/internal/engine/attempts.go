package engine

// repeat answers a repeated attempt with the messages of the first.
func (e *Engine) repeat(now int64, w *Waiter) bool { return false }

func (e *Engine) endMoves(now int64, q *Queue) {}
