package admin

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestThePageBringsAllThatItNeeds and nothing that its own policy forbids:
// resources of other hosts, scripts and styles in the markup.
func TestThePageBringsAllThatItNeeds(t *testing.T) {
	srv := serve(t, newPlant(), Settings{})
	types := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	all := map[string]string{}
	err := fs.WalkDir(files, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name = strings.TrimPrefix(name, "page/")
		url := "/" + name
		if name == "index.html" {
			url = "/"
		}
		w := ask(srv, "GET", url, "")
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), types[path.Ext(name)]) || types[path.Ext(name)] == "" {
			t.Errorf("%s: %d %s", url, w.Code, w.Header().Get("Content-Type"))
		}
		all[name] = w.Body.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files: this test no longer sees the page", len(all))
	}
	refs := regexp.MustCompile(`(?:from '|src=|href=|url\()\s*['"]?([^'"\s)>]+)`)
	for name, body := range all {
		for _, m := range refs.FindAllStringSubmatch(body, -1) {
			ref := strings.TrimPrefix(m[1], "./")
			if strings.HasPrefix(ref, "#") || ref == "." || strings.ContainsAny(ref, "${`+;") || !strings.Contains(ref, ".") {
				continue
			}
			if _, ok := all[ref]; !ok {
				t.Errorf("%s refers to %q, which is not served", name, m[1])
			}
		}
		if foreign := regexp.MustCompile(`https?://[^'"\s)]+`).FindAllString(body, -1); len(foreign) > 0 {
			for _, f := range foreign {
				if f != "http://www.w3.org/2000/svg" {
					t.Errorf("%s names %s", name, f)
				}
			}
		}
		if strings.HasSuffix(name, ".html") && regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:[^>]*)>[^<]|javascript:`).MatchString(body) {
			t.Errorf("%s has a script or a style in its markup, which its policy forbids", name)
		}
		if strings.Contains(body, ".outerHTML") || strings.Contains(body, "insertAdjacentHTML") || strings.Contains(body, "eval(") {
			t.Errorf("%s makes markup or code of text", name)
		}
	}
}

func TestAFolderOfThePageIsNotListed(t *testing.T) {
	srv := serve(t, newPlant(), Settings{})
	for _, path := range []string{"/page", "/page/", "/..", "/../server.go", "/nothing.js", "/api", "/api/v2/state"} {
		if w := ask(srv, "GET", path, ""); w.Code == 200 {
			t.Errorf("%s: %d %.80s", path, w.Code, w.Body)
		}
	}
}
