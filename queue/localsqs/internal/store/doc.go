// Package store keeps an engine's queues and messages in a bbolt file and a
// journal.
//
// A [File] is the bbolt file: what is in it ([File.Load]) and one content
// ([File.Content]). A [Committer] is the goroutine that owns the writing:
// changes are appended to the group that is being gathered, and each group is
// one write to the journal and one fsync. A checkpoint, a goroutine of its own,
// takes the journal's groups into the file when they have grown to some
// megabytes, leaving out what has come and gone since. The file names the
// latest group that is in it; Open takes over the later ones.
//
// Buckets: "meta" (format, salt, the state of the journal, the time of the latest
// change; its sequence number is the last message's), "queues" (id to QueueRecord
// as JSON; its sequence number is the last queue's), "moves" (move tasks), and for
// each queue, by id, "m" (seq to the message's record), "b" (seq to its content)
// and "d" (deduplication id to its first message).
package store
