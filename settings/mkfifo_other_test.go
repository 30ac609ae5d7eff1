//go:build !unix

package settings_test

import "testing"

// mkfifo skips the test: this platform has no named pipes in folders.
func mkfifo(t *testing.T, _ string) {
	t.Helper()
	t.Skip("needs named pipes")
}
