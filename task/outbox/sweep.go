package outbox

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// sweepBatch is how many notes one statement deletes, so that none locks for long.
const sweepBatch = 1000

// sweep deletes old notes of Once, old results of Step, and keys that are free, in batches.
func (r *Relay) sweep(ctx context.Context) error {
	for _, statement := range r.box.sql.sweeps(r.settings.Retention, sweepBatch) {
		for n := int64(sweepBatch); n == sweepBatch; {
			var err error
			if n, err = changed(r.box.db.ExecContext(ctx, statement)); err != nil {
				return fmt.Errorf("sweep the notes of Once and Step: %w", err)
			}
			r.stats.swept.Add(n)
		}
	}
	r.swept = time.Now()
	return nil
}

// lead reports whether this relay may send, which on SQLite one relay may. It leads for
// the time of a send, and others wait for twice that after its death.
func (r *Relay) lead(ctx context.Context) (bool, error) {
	leadFor := r.settings.SendTimeout
	if time.Until(r.leadEnds) > leadFor/2 {
		return true, nil
	}
	asked := time.Now()
	result, err := r.box.db.ExecContext(ctx, r.box.sql.lead(leadFor+r.settings.SendTimeout), r.id)
	if err != nil {
		return false, fmt.Errorf("become the relay: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("become the relay: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	r.leadEnds = asked.Add(leadFor)
	return true, nil
}

// release lets another relay of a SQLite database lead at once.
func (r *Relay) release(ctx context.Context) {
	if r.box.dialect != SQLite || r.leadEnds.IsZero() {
		return
	}
	if _, err := r.box.db.ExecContext(ctx, "DELETE FROM "+r.box.table+"_relay WHERE owner = ?", r.id); err != nil {
		r.log.Warn("another relay of the outbox will begin late", "table", r.box.table, "error", err)
	}
}

const maxReason = 1000

// clipReason cuts an error to what an operator reads.
func clipReason(err error) string {
	text := err.Error()
	if len(text) <= maxReason {
		return text
	}
	cut := maxReason
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
