package awssource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// credentialsError is an error of what gives the credentials: STS, the metadata of an instance, a file. It may
// carry a code of STS, which says nothing of a parameter or a secret.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

var errNoProvider = errors.New("aws.Config has none; config.LoadDefaultConfig finds them")

// provider gives its errors a type.
type provider struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (p provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.CredentialsProvider == nil {
		return aws.Credentials{}, &credentialsError{errNoProvider}
	}
	c, err := p.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = &credentialsError{err}
	}
	return c, err
}

// withErrors returns p with errors of a type. The SDK looks for anonymous credentials by their type, so those stay.
func withErrors(p aws.CredentialsProvider) aws.CredentialsProvider {
	if aws.IsCredentialsProvider(p, (*aws.AnonymousCredentials)(nil)) {
		return p
	}
	return provider{p}
}

// tooSlow is the error of a path with more parameters than can be read in time.
type tooSlow struct {
	read int
	time time.Duration
}

func (e tooSlow) Error() string {
	return fmt.Sprintf("%d parameters were read within %v, and there are more: give Settings.Timeout more time, or "+
		"put fewer below the path", e.read, e.time)
}
