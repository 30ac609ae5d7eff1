//go:build unix

package logger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// runChild makes this test binary a service that logs to its stdout, if a test
// has started it as one.
func runChild() bool {
	mode, policy, ok := strings.Cut(os.Getenv("LOGGER_TEST_CHILD"), ",")
	if !ok {
		return false
	}
	l, err := New("child", Settings{Policy: Policy(policy)})
	if err != nil {
		panic(err)
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	if _, err := l.Start(system); err != nil {
		panic(err)
	}
	switch mode {
	case "closed":
		childWithoutReader(l)
	case "killed":
		childUntilKilled(l)
	case "stop":
		for i := range childRecords {
			l.Slog().Info("m", "i", i)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := l.Stop(ctx); err != nil {
			panic(err)
		}
		os.Exit(0)
	case "panic":
		defer l.Guard()
		for i := range childRecords {
			l.Slog().Info("m", "i", i)
		}
		panic(errors.New("on purpose"))
	}
	return true
}

const childRecords = 20000

// childWithoutReader logs to a stdout without a reader, and says on
// descriptor 3 that it lives and what its logger says of it.
func childWithoutReader(l *Logger) {
	control := os.NewFile(3, "control")
	if _, err := control.Read(make([]byte, 1)); err != nil { // until the reader is gone
		panic(err)
	}
	l.Slog().Info("without a reader")
	for {
		l.Slog().Info("nor this")
		if s := l.Stats().Outputs[0]; s.Error != "" {
			_, _ = control.WriteString(s.Error)
			os.Exit(0)
		}
	}
}

// childUntilKilled logs from four goroutines. The number of each ERROR goes to
// descriptor 3 after its call has returned.
func childUntilKilled(l *Logger) {
	acks := os.NewFile(3, "acks")
	for g := range 4 {
		go func() {
			log := l.Slog().With("g", g)
			for i := 0; ; i++ {
				log.Info("info", "i", i)
				if i%3 == 0 {
					log.Error("error", "id", strconv.Itoa(g)+"-"+strconv.Itoa(i))
					_, _ = acks.WriteString(strconv.Itoa(g) + "-" + strconv.Itoa(i) + "\n")
				}
			}
		}()
	}
	select {}
}

func childCmd(t *testing.T, mode string, policy Policy) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "LOGGER_TEST_CHILD="+mode+","+string(policy))
	return cmd
}

// TestKilledProcessHasWrittenEveryError: a record at ERROR, after its call has
// returned is in the kernel, so no way for the process to end can lose it.
func TestKilledProcessHasWrittenEveryError(t *testing.T) {
	rounds := 12
	if testing.Short() || raceEnabled {
		rounds = 3
	}
	for round := range rounds {
		policy := []Policy{PolicyBlock, PolicyDropBelow, PolicyDropOldest}[round%3]
		cmd := childCmd(t, "killed", policy)
		ackR, ackW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{ackW}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ackW.Close()
		var out bytes.Buffer
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(&out, stdout) })

		// Killed after so many acknowledged errors: 1, 51, 101, ...
		var acked []byte
		buf := make([]byte, 512)
		for bytes.Count(acked, []byte{'\n'}) < 1+round*50 {
			n, err := ackR.Read(buf)
			acked = append(acked, buf[:n]...)
			if err != nil {
				t.Fatalf("the child ended by itself: %v", err)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(ackR)
		acked = append(acked, rest...)
		ackR.Close()
		wg.Wait()
		_ = cmd.Wait()
		ids := strings.Split(string(acked), "\n")
		ids = ids[:len(ids)-1] // the last may be cut by the kill
		for _, id := range ids {
			if !bytes.Contains(out.Bytes(), []byte(`"id":"`+id+`"`)) {
				t.Errorf("policy %s: error %s was acknowledged and is not in the output", policy, id)
			}
		}
		t.Logf("policy %s: %d errors acknowledged, %d bytes out", policy, len(ids), out.Len())
	}
}

func TestNothingIsLostOnStopAndOnGuardedPanic(t *testing.T) {
	for _, mode := range []string{"stop", "panic"} {
		cmd := childCmd(t, mode, PolicyBlock)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if mode == "panic" {
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(stderr.String(), "on purpose") {
				t.Errorf("a guarded panic must end the process as any: %v, %s", err, stderr.String())
			}
			if !bytes.Contains(out, []byte(`"msg":"panic"`)) {
				t.Error("the panic is not logged")
			}
		} else if err != nil {
			t.Errorf("%v: %s", err, stderr.String())
		}
		for i := range childRecords {
			// Records come in order: look from the last one on.
			at := bytes.Index(out, []byte(`"i":`+strconv.Itoa(i)+"}"))
			if at < 0 {
				t.Fatalf("mode %s: record %d of %d is not in the output", mode, i, childRecords)
			}
			out = out[at:]
		}
	}
}

// TestProcessOutlivesTheReaderOfItsLogs: os.Stdout would end the process by
// SIGPIPE.
func TestProcessOutlivesTheReaderOfItsLogs(t *testing.T) {
	cmd := childCmd(t, "closed", PolicyBlock)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	stdout.Close()
	_, _ = ours.Write([]byte{1})
	said, _ := io.ReadAll(ours)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended: %v", err)
	}
	if !strings.Contains(string(said), "broken pipe") {
		t.Errorf("its logger says %q", said)
	}
}
