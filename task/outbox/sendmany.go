package outbox

import (
	"context"
	"fmt"

	"github.com/sambatech/chassis/task"
)

// Of one statement of [SendMany].
const (
	manyRows  = 100
	manyBytes = 1 << 20 // below MySQL's smallest usual max_allowed_packet of 4 MiB, escaped
)

// SendMany is [Send] for one task for each of args, with few statements. It returns their
// exec_ids in that order. If one is refused, none is written: the caller may go on in its
// transaction. Tasks of a FIFO group keep the order of args. [task.Unique] is an error: all
// of them would have one key.
func SendMany[A any](
	ctx context.Context, b *Box, tx Execer, def *task.Definition[A], args []A, opts ...task.Option,
) (execIDs []string, err error) {
	if err := def.Spec().Err(); err != nil {
		return nil, err
	}
	opts = def.Options(opts)
	all := make([]sending, len(args))
	for i, a := range args {
		if all[i], err = b.encode(ctx, def.Name(), a, opts); err != nil {
			return nil, fmt.Errorf("argument %d of %d: %w", i+1, len(args), err)
		}
		if key := all[i].out.OneOf.Key; key != "" {
			return nil, fmt.Errorf("outbox: send %d tasks %q with one key, %q, of task.Unique: use Send for each, "+
				"with a key of its own", len(args), def.Name(), key)
		}
		execIDs = append(execIDs, all[i].out.ExecID)
	}
	if len(all) > 0 && orderKey(all[0].out) != "" {
		for _, s := range all {
			if err := b.put(ctx, tx, s.out, s.text); err != nil {
				return nil, b.notWritten(def.Name(), err)
			}
		}
		return execIDs, nil
	}
	for len(all) > 0 {
		n, bytes := 0, 0
		for n < min(len(all), manyRows) && (n == 0 || bytes+len(all[n].text) <= manyBytes) {
			bytes += len(all[n].text)
			n++
		}
		values := make([]any, 0, 4*n)
		for _, s := range all[:n] {
			values = append(values, s.out.ExecID, s.out.Name, s.out.Pool, s.text)
		}
		if _, err := tx.ExecContext(ctx, b.sql.insertMany(n), values...); err != nil {
			return nil, b.notWritten(def.Name(), err)
		}
		all = all[n:]
	}
	return execIDs, nil
}
