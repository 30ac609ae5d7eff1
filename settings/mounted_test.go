package settings_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// A secret is read from a mounted file that begins with a byte order mark, or
// ends with several line breaks. They are not part of it.
func TestAMountedSecretKeepsMarkAndLineBreaks(t *testing.T) {
	type config struct{ Token settings.Secret[string] }
	for body, want := range map[string]string{
		"s3cret": "s3cret", "s3cret\n": "s3cret", "\xef\xbb\xbfs3cret\n": "s3cret", "s3cret\n\n": "s3cret", "s3cret\r\n\r\n": "s3cret",
		"a\nb\n": "a\nb", " s3cret ": " s3cret ", "": "", "\n": "",
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := settings.Load(config{}, settings.Environ("MAIL", []string{"MAIL_TOKEN_FILE=" + path}))
		if err != nil || c.Token.Reveal() != want {
			t.Errorf("file %q: secret %q, error %v; want %q", body, c.Token.Reveal(), err, want)
		}
	}
}
