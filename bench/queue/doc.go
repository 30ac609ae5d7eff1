// Package queue measures localsqs next to fauxqs, the fastest local SQS that a
// registry has, both through the ordinary sqs.Client: bodies of 1 KB, batches
// of ten, eight workers. An operation is one message.
//
//	./fauxqs.sh DIR             # installs fauxqs and the node it needs with npm
//	FAUXQS_DIR=DIR GOFLAGS=-mod=mod go test -bench . -count 5 ./queue
//
// Without FAUXQS_DIR the peer's cases are skipped, in so many words.
package queue
