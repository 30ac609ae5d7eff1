package admin

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

// page serves the page's own files, which hold nothing of the service.
func page() http.Handler {
	sub, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return http.FileServerFS(sub)
}
