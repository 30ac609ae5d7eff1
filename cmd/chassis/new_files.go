package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"go/format"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed service
var service embed.FS

// dotted are names that begin with a dot, which the embedding leaves out.
var dotted = []string{"gitignore", "dockerignore", "github"}

// write fills in the templates. One that comes out empty is not of this kind of service.
func (n *newService) write() (files []string, err error) {
	err = fs.WalkDir(service, "service", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file := strings.TrimSuffix(strings.TrimPrefix(name, "service/"), ".tmpl")
		if first, _, _ := strings.Cut(file, "/"); slices.Contains(dotted, first) {
			file = "." + file
		}
		text, err := n.fill(name)
		if err != nil || len(text) == 0 {
			return err
		}
		to := filepath.Join(n.dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		files = append(files, file)
		return os.WriteFile(to, text, 0o644)
	})
	slices.Sort(files)
	return files, err
}

// fill returns the text of one template.
func (n *newService) fill(name string) ([]byte, error) {
	source, err := service.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Parse(string(source))
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, n); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text.Bytes())) == 0 || !strings.HasSuffix(name, ".go.tmpl") {
		return bytes.TrimLeft(text.Bytes(), "\n"), nil
	}
	formatted, err := format.Source(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return formatted, nil
}

// A service has portsEach ports in a row: HTTP, its queue, the admin server, and that of
// the remote service in its settings. All lie below those that systems give to clients.
const (
	portsEach  = 4
	firstPort  = 10_000
	placeCount = 5_000
)

// Port is the n-th port of the service.
func (n *newService) Port(i int) int { return n.port + i }

// Remote is the port of the service that delivers greetings.
func (n *newService) Remote() int { return n.Port(3) }

// freePorts returns the first port of a service: made of its name, so that two services
// on one machine have different ones, or the next after it where something listens now.
func freePorts(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash returns no error
	place := int(h.Sum32() % placeCount)
	for tries := range placeCount {
		if port := firstPort + portsEach*((place+tries)%placeCount); allFree(port) {
			return port
		}
	}
	return firstPort + portsEach*place
}

// allFree reports whether nothing listens on the ports of a service now.
func allFree(port int) bool {
	var config net.ListenConfig
	for i := range portsEach {
		l, err := config.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return false
		}
		_ = l.Close() // nothing was accepted
	}
	return true
}
