package server

import "net/http"

// LimitBody bounds the body of a request to limit bytes: to read more is an
// *http.MaxBytesError, after which net/http closes the connection. It takes the place of
// http.MaxBytesReader, which sees net/http's own writer only where no middleware stands
// around the handler; else an answer of 413 waits until the client has sent 256 KiB more.
//
//	server.LimitBody(w, r, 20<<20)
//	_, err := io.Copy(file, r.Body)
func LimitBody(w http.ResponseWriter, r *http.Request, limit int64) {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = outer.Unwrap()
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
}
