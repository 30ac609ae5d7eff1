package awsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/task/envelope"
)

// Keys are [envelope.Keys] in AWS KMS. They need kms:GenerateDataKey on the first key, and
// kms:Decrypt on all of them.
//
// A message names the key that its data key is wrapped by, and everyone who may send to the
// queue can name one of their own. So the name is for people alone: a data key is unwrapped
// by the keys that are given here, and by no other.
type Keys struct {
	client *kms.Client
	ids    []string
}

// encryptionContext binds a wrapped data key to its use: no other program's ciphertext under
// the same KMS key is taken for one.
var encryptionContext = map[string]string{"chassis": "task arguments"}

// NewKeys returns the keys with these ids: ARNs, ids, or names like alias/task-arguments. The
// first encrypts. Others open what was sent with them before. KMS opens what an older material
// of a key has wrapped by itself, after a rotation. It makes no request.
func NewKeys(client *kms.Client, id string, older ...string) (*Keys, error) {
	k := &Keys{client: client, ids: append([]string{id}, older...)}
	for _, id := range k.ids {
		if client == nil || id == "" {
			return nil, errors.New("awsstore: keys need a client, and an id that is not empty")
		}
	}
	return k, nil
}

// GenerateDataKey implements [envelope.Keys].
func (k *Keys) GenerateDataKey(ctx context.Context) (envelope.DataKey, error) {
	out, err := k.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &k.ids[0],
		KeySpec: types.DataKeySpecAes256, EncryptionContext: encryptionContext})
	if err != nil {
		return envelope.DataKey{}, fmt.Errorf("awsstore: make a data key by the KMS key %s: %w", k.ids[0],
			explain(err))
	}
	made := envelope.DataKey{Key: k.ids[0], Plain: out.Plaintext, Wrapped: out.CiphertextBlob}
	if out.KeyId != nil {
		made.Key = *out.KeyId
	}
	return made, nil
}

// Decrypt implements [envelope.Keys]. It asks for each of the keys, the one that is named first.
func (k *Keys) Decrypt(ctx context.Context, named string, wrapped []byte) ([]byte, error) {
	var errs []error
	for _, id := range k.order(named) {
		out, err := k.client.Decrypt(ctx, &kms.DecryptInput{KeyId: &id, CiphertextBlob: wrapped,
			EncryptionContext: encryptionContext})
		if err == nil {
			return out.Plaintext, nil
		}
		err = fmt.Errorf("awsstore: unwrap a data key by the KMS key %s: %w", id, explain(err))
		if !errors.Is(err, envelope.ErrUnknownKey) && !errors.Is(err, envelope.ErrBroken) {
			return nil, err // away: another key's refusal would say nothing
		}
		errs = append(errs, err)
	}
	all := errors.Join(errs...)
	if errors.Is(all, envelope.ErrUnknownKey) {
		// One key may not be used now: whether the data key is broken is not known.
		return nil, fmt.Errorf("%w: it was wrapped by %.100q: %v", envelope.ErrUnknownKey, named, all)
	}
	return nil, all
}

// order returns the keys, the named one first if it is among them.
func (k *Keys) order(named string) []string {
	list := make([]string, 0, len(k.ids))
	for _, id := range k.ids {
		if id == named {
			list = append(list, id)
		}
	}
	for _, id := range k.ids {
		if id != named {
			list = append(list, id)
		}
	}
	return list
}

// explain adds what envelope has to know of an error.
func explain(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode() {
	case "NotFoundException", "DisabledException", "KMSInvalidStateException", "AccessDeniedException",
		"IncorrectKeyException", "InvalidKeyUsageException":
		return fmt.Errorf("%w: %w", envelope.ErrUnknownKey, err)
	case "InvalidCiphertextException":
		return fmt.Errorf("%w: %w", envelope.ErrBroken, err)
	}
	return err
}
