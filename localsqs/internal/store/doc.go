// Package store keeps an engine's queues and messages in a bbolt file.
//
// A [File] is the file: what is in it ([File.Load]), one transaction of changes
// ([File.Apply]), one content ([File.Content]). A [Committer] is the goroutine
// that owns the writing: changes are appended to the group that is being
// gathered, and each group is one transaction with one fsync.
//
// Buckets: "meta" (format, salt; its sequence number is the last message's),
// "queues" (id to QueueRecord as JSON; its sequence number is the last
// queue's), "moves" (move tasks), and for each queue, by id, "m" (seq to the message's record), "b"
// (seq to its content) and "d" (deduplication id to its first message).
package store
