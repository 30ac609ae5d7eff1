// Package walk checks that other languages' SDKs work with localsqs unchanged:
// a small script for each of boto3, the JavaScript SDK v3 and the AWS CLI walks
// every operation. Debian's boto3 and CLI, from before November 2023, speak the
// query protocol. A tool that is not there is skipped, and the test says so.
package walk
