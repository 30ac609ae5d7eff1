// Package effects records what a handler does to the world outside of its process,
// and compares the effects of two runs. It is what chassistest.Twice sees by.
//
//	client := p.Client(bank)      // an http.Client; bank is an http.RoundTripper
//	db := p.DB(connector)         // an *sql.DB; connector is of a driver
//	err := p.Do(ctx, "mail", job.ExecID, func() error { return mailer.Send(...) })
//
// p is the recorder of one process. A recorder can end its process: from then on
// nothing of it reaches the world. Its connections to databases are cut, its calls do
// not return before the world is over.
//
// # What is recorded
//
//	requests     method and URL, the header Idempotency-Key, the body or its digest
//	tasks        name, pool, exec_id, deduplication id, the digest of the arguments
//	statements   text and arguments, rows changed, begin, commit, rollback
//	others       the name and the key that the caller gives to [Recorder.Do]
//
// # Comparing
//
// [Compare] holds the effects of a case against those of a whole run. The rules stand at
// chassistest.Twice.
//
// # Ownership and goroutines
//
// A [Log] belongs to one world, a [Recorder] to one process of it. All methods may be
// called from several goroutines.
package effects
