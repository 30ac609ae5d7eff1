package sqsclient

import (
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// maxEntries is the number of entries of a batch (SQS API reference).
const maxEntries = 10

// batch reads the answer to a batch without a failure: entry reads the n-th entry.
// It returns the number of entries, and whether there is an empty list of failures;
// ok is false where the SDK is to read it.
func (r *reader) batch(entry func(n int) bool) (n int, none, ok bool) {
	r.text = r.text[:0]
	found := false
	ok = r.object(func(key []byte) bool {
		switch {
		case string(key) == "Failed" && !none:
			none = true
			return r.next('[') && r.next(']')
		case string(key) != "Successful" || found || !r.next('['):
			return false
		}
		for found = true; n < maxEntries; {
			if !entry(n) {
				return false
			}
			if n++; r.next(']') {
				return true
			}
			if !r.next(',') {
				return false
			}
		}
		return false
	})
	return n, none, ok && found && r.end() && utf8.Valid(r.text)
}

// noFailure is the list of failures of a batch that has an empty one.
func noFailure(none bool) []types.BatchResultErrorEntry {
	if none {
		return []types.BatchResultErrorEntry{}
	}
	return nil
}

// deleted reads the answer to a DeleteMessageBatch without a failure.
func (r *reader) deleted(out *sqs.DeleteMessageBatchOutput) bool {
	var ids [maxEntries]span
	n, none, ok := r.batch(func(n int) (ok bool) {
		if r.member("Id") {
			ids[n], ok = r.string()
		}
		return ok && r.next('}')
	})
	if !ok {
		return false
	}
	text, block := string(r.text), make([]string, n)
	out.Successful, out.Failed = make([]types.DeleteMessageBatchResultEntry, n), noFailure(none)
	for i := range block {
		block[i] = text[ids[i].from:ids[i].to]
		out.Successful[i].Id = &block[i]
	}
	return true
}

// The members of an entry of a SendMessageBatch, by their place in a block of strings.
const (
	sentID = iota
	sentMessageID
	sentMD5OfBody
	sentMD5OfAttributes
	sentMD5OfSystem
	sentSequence
	sentMembers
)

var sentNames = [sentMembers]string{"Id", "MessageId", "MD5OfMessageBody", "MD5OfMessageAttributes",
	"MD5OfMessageSystemAttributes", "SequenceNumber"}

// sentEntry is an entry as it was found.
type sentEntry struct {
	found [sentMembers]span
	has   [sentMembers]bool
}

// sent reads the answer to a SendMessageBatch without a failure.
func (r *reader) sent(out *sqs.SendMessageBatchOutput) bool {
	var entries [maxEntries]sentEntry
	strings := 0
	n, none, ok := r.batch(func(n int) bool {
		members := r.sentEntry(&entries[n])
		strings += members
		return members > 0
	})
	if !ok {
		return false
	}
	text, block := string(r.text), make([]string, 0, strings) // never grows: pointers into it are given out
	out.Successful, out.Failed = make([]types.SendMessageBatchResultEntry, n), noFailure(none)
	for i := range n {
		e, to := &entries[i], &out.Successful[i]
		for k, field := range [sentMembers]**string{&to.Id, &to.MessageId, &to.MD5OfMessageBody,
			&to.MD5OfMessageAttributes, &to.MD5OfMessageSystemAttributes, &to.SequenceNumber} {
			if e.has[k] {
				block = append(block, text[e.found[k].from:e.found[k].to])
				*field = &block[len(block)-1]
			}
		}
	}
	return true
}

// sentEntry reads an entry and returns the number of its members; 0 leaves it to the SDK.
func (r *reader) sentEntry(e *sentEntry) (members int) {
	ok := r.object(func(key []byte) bool {
		for i, name := range sentNames {
			if string(key) == name {
				if e.has[i] {
					return false // twice: the SDK's reader decides
				}
				e.found[i], e.has[i] = r.string()
				members++
				return e.has[i]
			}
		}
		return false
	})
	if !ok {
		return 0
	}
	return members
}
