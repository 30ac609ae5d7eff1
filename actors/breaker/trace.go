package breaker

import (
	"context"
	"net/http/httptrace"
)

// traceKey is the key under which a ctx carries an httptrace.ClientTrace. With
// it an exchange makes a trace only for a base that asks for one.
var traceKey = func() any {
	k := &keySpy{Context: context.Background()}
	httptrace.ContextClientTrace(k)
	return k.key
}()

// keySpy is a ctx that notes which key it is asked for.
type keySpy struct {
	context.Context
	key any
}

func (k *keySpy) Value(key any) any { k.key = key; return nil }

// trace returns the caller's trace, if there is one, with the exchange's: the
// patience begins when the request is written.
func (x *exchange) trace() *httptrace.ClientTrace {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.clock != nil && x.clock.trace != nil { // HTTP/2 asks for it several times
		return x.clock.trace
	}
	t := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.again(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				x.again(false)
			}
		},
	}
	if httptrace.ContextClientTrace(x.parent) != nil {
		t = httptrace.ContextClientTrace(httptrace.WithClientTrace(x.parent, t))
	}
	if x.clock != nil {
		x.clock.trace = t
	}
	return t
}
