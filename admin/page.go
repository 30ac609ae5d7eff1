package admin

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed page
var files embed.FS

// page serves the page's own files, which hold nothing of the service.
func page() http.Handler {
	sub, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	serve := http.FileServerFS(sub)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := strings.TrimPrefix(r.URL.Path, "/"); name != "" && !fs.ValidPath(name) {
			http.NotFound(w, r) // the file server would take it for a fault of its own
			return
		}
		serve.ServeHTTP(w, r)
	})
}
