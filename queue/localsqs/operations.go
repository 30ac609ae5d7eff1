package localsqs

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
	"github.com/sambatech/chassis/queue/localsqs/internal/wire"
)

// operations are those of the protocol, by name.
var operations = map[string]func(*Server, *call) *engine.Error{
	"CreateQueue":                  (*Server).createQueue,
	"GetQueueUrl":                  (*Server).getQueueURL,
	"ListQueues":                   (*Server).listQueues,
	"ListDeadLetterSourceQueues":   (*Server).listSources,
	"DeleteQueue":                  (*Server).deleteQueue,
	"PurgeQueue":                   (*Server).purgeQueue,
	"GetQueueAttributes":           (*Server).getAttributes,
	"SetQueueAttributes":           (*Server).setAttributes,
	"TagQueue":                     (*Server).tagQueue,
	"UntagQueue":                   (*Server).untagQueue,
	"ListQueueTags":                (*Server).listTags,
	"SendMessage":                  (*Server).sendMessage,
	"SendMessageBatch":             (*Server).sendBatch,
	"ReceiveMessage":               (*Server).receive,
	"DeleteMessage":                (*Server).deleteMessage,
	"DeleteMessageBatch":           (*Server).deleteBatch,
	"ChangeMessageVisibility":      (*Server).changeVisibility,
	"ChangeMessageVisibilityBatch": (*Server).changeVisibilityBatch,
	"AddPermission":                (*Server).addPermission,
	"RemovePermission":             (*Server).removePermission,
	"StartMessageMoveTask":         (*Server).startMove,
	"CancelMessageMoveTask":        (*Server).cancelMove,
	"ListMessageMoveTasks":         (*Server).listMoves,
}

// object is an answer that is marshalled; absent members are left out.
type object map[string]any

func (c *call) reply(o object) {
	for name, v := range o {
		switch v := v.(type) {
		case map[string]string:
			if len(v) == 0 {
				delete(o, name)
			}
		case []string:
			if len(v) == 0 {
				delete(o, name)
			}
		case string:
			if v == "" {
				delete(o, name)
			}
		}
	}
	b, err := json.Marshal(o, json.Deterministic(true))
	if err != nil {
		b = []byte("{}") // maps of valid strings always marshal
	}
	c.answer = b
}

func (c *call) empty() { c.answer = []byte("{}") }

func (s *Server) queueURL(c *call, name string) string {
	return c.host + "/" + s.cfg.account + "/" + name
}

// key names the queue of a URL by its last path segment; a bare name will do.
func (c *call) key(url string) engine.Key {
	if i := strings.LastIndexByte(url, '/'); i >= 0 {
		url = url[i+1:]
	}
	return engine.Key{Region: c.region, Name: url}
}

// queue finds the queue of a URL.
func (c *call) queue(e *engine.Engine, url string) (*engine.Queue, *engine.Error) {
	if url == "" {
		return nil, engine.MissingParameter("QueueUrl")
	}
	q := e.Queue(c.key(url))
	if q == nil {
		return nil, engine.NoSuchQueue()
	}
	return q, nil
}

// with runs op, which changes something, on the queue of a URL.
func (s *Server) with(c *call, url string,
	op func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error) *engine.Error {
	return s.do(func(now int64, e *engine.Engine) *engine.Error {
		q, err := c.queue(e, url)
		if err != nil {
			return err
		}
		return op(now, e, q)
	})
}

// lookAt runs op on the queue of a URL without waiting for the store.
func (s *Server) lookAt(c *call, url string,
	op func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error) *engine.Error {
	return s.look(func(now int64, e *engine.Engine) *engine.Error {
		q, err := c.queue(e, url)
		if err != nil {
			return err
		}
		return op(now, e, q)
	})
}

func (s *Server) createQueue(c *call) *engine.Error {
	var r wire.CreateQueue
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	if r.QueueName == "" {
		return engine.MissingParameter("QueueName")
	}
	err := s.do(func(now int64, e *engine.Engine) *engine.Error {
		_, err := e.CreateQueue(now, engine.Key{Region: c.region, Name: r.QueueName}, r.Attributes, r.Tags)
		return err
	})
	c.reply(object{"QueueUrl": s.queueURL(c, r.QueueName)})
	return err
}

func (s *Server) getQueueURL(c *call) *engine.Error {
	var r wire.GetQueueURL
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	if r.QueueName == "" {
		return engine.MissingParameter("QueueName")
	}
	if r.QueueOwnerAWSAccountId != "" && r.QueueOwnerAWSAccountId != s.cfg.account {
		return engine.NoSuchQueue()
	}
	c.reply(object{"QueueUrl": s.queueURL(c, r.QueueName)})
	return s.look(func(_ int64, e *engine.Engine) *engine.Error {
		if e.Queue(engine.Key{Region: c.region, Name: r.QueueName}) == nil {
			return engine.NoSuchQueue()
		}
		return nil
	})
}

const maxList = 1000

func (s *Server) listQueues(c *call) *engine.Error {
	return s.list(c, "QueueUrls", func(e *engine.Engine, r *wire.ListQueues, after string, limit int) ([]string, bool,
		*engine.Error) {
		names, more := e.ListQueues(c.region, r.QueueNamePrefix, after, limit)
		return names, more, nil
	})
}

func (s *Server) listSources(c *call) *engine.Error {
	return s.list(c, "queueUrls", func(e *engine.Engine, r *wire.ListQueues, after string, limit int) ([]string, bool,
		*engine.Error) {
		q, err := c.queue(e, r.QueueUrl)
		if err != nil {
			return nil, false, err
		}
		names, more := e.Sources(q, after, limit)
		return names, more, nil
	})
}

// list answers with a page of queue URLs. A token is the last name of the page
// before; without MaxResults there is one page of up to 1000 and no token.
func (s *Server) list(c *call, member string, names func(*engine.Engine, *wire.ListQueues, string, int) ([]string,
	bool, *engine.Error)) *engine.Error {
	var r wire.ListQueues
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	limit, after := maxList, ""
	if r.MaxResults != nil {
		if limit = int(*r.MaxResults); limit < 1 || limit > maxList {
			return engine.InvalidParameterValue("Value for parameter MaxResults is invalid. Reason: MaxResults " +
				"must be an integer between 1 and 1000.")
		}
	}
	if r.NextToken != "" {
		b, err := base64.URLEncoding.DecodeString(r.NextToken)
		if err != nil {
			return engine.InvalidParameterValue("Invalid or expired next token.")
		}
		after = string(b)
	}
	return s.look(func(_ int64, e *engine.Engine) *engine.Error {
		page, more, err := names(e, &r, after, limit)
		if err != nil {
			return err
		}
		answer := object{}
		if more && r.MaxResults != nil {
			answer["NextToken"] = base64.URLEncoding.EncodeToString([]byte(page[len(page)-1]))
		}
		for i := range page {
			page[i] = s.queueURL(c, page[i])
		}
		answer[member] = page
		c.reply(answer)
		return nil
	})
}

func (s *Server) deleteQueue(c *call) *engine.Error {
	var r wire.QueueRequest
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		e.DeleteQueue(now, q)
		return nil
	})
}

func (s *Server) purgeQueue(c *call) *engine.Error {
	var r wire.QueueRequest
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return e.Purge(now, q)
	})
}

func (s *Server) getAttributes(c *call) *engine.Error {
	var r wire.QueueAttributes
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	return s.lookAt(c, r.QueueUrl, func(_ int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		attrs, err := e.Attributes(q, r.AttributeNames)
		c.reply(object{"Attributes": attrs})
		return err
	})
}

func (s *Server) setAttributes(c *call) *engine.Error {
	var r wire.QueueAttributes
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return e.SetAttributes(now, q, r.Attributes)
	})
}

func (s *Server) tagQueue(c *call) *engine.Error {
	var r wire.Tags
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(_ int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return e.Tag(q, r.Tags)
	})
}

func (s *Server) untagQueue(c *call) *engine.Error {
	var r wire.Tags
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(_ int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return e.Untag(q, r.TagKeys)
	})
}

func (s *Server) listTags(c *call) *engine.Error {
	var r wire.QueueRequest
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	return s.lookAt(c, r.QueueUrl, func(_ int64, _ *engine.Engine, q *engine.Queue) *engine.Error {
		c.reply(object{"Tags": q.Tags()})
		return nil
	})
}
