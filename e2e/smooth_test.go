package e2e

import (
	"fmt"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// TestTenThousandExecutionsStaySmooth scrolls through ten thousand tasks that
// run at once. The page makes rows for what is in sight alone, so the frames of
// the scroll are as quick as with a few.
func TestTenThousandExecutionsStaySmooth(t *testing.T) {
	const many = 10_000
	s := start(t, func(set *chassis.Settings) { set.Tasks.Workers, set.Tasks.MaxWorkers = many, many })
	b := browse(t, s.AdminURL())
	tasks := make([]chassis.Task, many)
	for i := range tasks {
		tasks[i] = chassis.Task{Name: "newsletter", Args: mail{To: "all"}, Options: []task.Option{task.ForJob(fmt.Sprintf("job-%05d", i), fmt.Sprintf("list %05d", i))}}
	}
	if _, err := s.SendMany(t.Context(), tasks); err != nil {
		t.Fatal(err)
	}
	b.show("executions")
	b.until("all of them run", b.hasText("#view-executions .above", "10,000 held"))
	frames := eval[struct{ Frames, Median, P95, Max float64 }](b, "scroll", `new Promise((done) => {
		const body = document.querySelector('.vt-body'), gaps = [];
		let last = performance.now(), n = 0;
		const next = (now) => {
			gaps.push(now - last); last = now;
			body.scrollTop = (body.scrollHeight - body.clientHeight) * (n++ / 180);
			if (n <= 180) return requestAnimationFrame(next);
			gaps.sort((a, b) => a - b);
			done({Frames: gaps.length, Median: gaps[gaps.length >> 1], P95: gaps[Math.floor(gaps.length * 0.95)], Max: gaps.at(-1)});
		};
		requestAnimationFrame(next);
	})`)
	b.until("the last row", `[...document.querySelectorAll('.vt-inner .vt-row:not([hidden])')].some((r) => r.getAttribute('aria-rowindex') === '10001')`)
	rows := eval[int](b, "rows", `document.querySelectorAll('.vt-inner .vt-row').length`)
	t.Logf("%d rows exist; frames of the scroll: median %.0f ms, p95 %.0f ms, longest %.0f ms", rows, frames.Median, frames.P95, frames.Max)
	if rows > 150 {
		t.Errorf("%d rows exist for %d executions", rows, many)
	}
	if frames.Median > 50 { // three frames of a 60 Hz display, on a machine that does other things too
		t.Errorf("the median frame of the scroll took %.0f ms", frames.Median)
	}
	b.do(focusAndType("list 07777")...)
	b.until("the one that was searched for", `document.querySelectorAll('.vt-inner .vt-row:not([hidden])').length === 1 && `+b.hasText(".vt-inner .vt-row:not([hidden])", "list 07777"))
	b.quiet()
}
