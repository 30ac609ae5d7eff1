// Package walk checks that other SDKs and tools work with localsqs unchanged. A
// small script for each of boto3, the JavaScript SDKs and the AWS CLI walks every
// operation; those of before November 2023 (Debian 12's boto3 and CLI, the
// JavaScript SDK v2 and v3.438) speak the query protocol. curl walks the life of a
// message, and Celery runs tasks. The Go SDK v1 is walked in bench/queue. A tool
// that is not there is skipped, and the test says so.
package walk
