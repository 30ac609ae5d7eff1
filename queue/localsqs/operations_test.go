package localsqs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestQueuesErrors(t *testing.T) {
	client := newClient(newServer(t))
	ctx := context.Background()
	_, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("nowhere")})
	wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
	var gone *types.QueueDoesNotExist
	if !errors.As(err, &gone) || gone.ErrorMessage() != "The specified queue does not exist." {
		t.Errorf("error is %v", err)
	}
	createQueue(t, client, "jobs", map[string]string{"VisibilityTimeout": "7"})
	_, err = client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("jobs"), Attributes: map[string]string{"VisibilityTimeout": "8"}})
	wantCode(t, err, "QueueAlreadyExists")
}
