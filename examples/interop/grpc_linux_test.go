package interop

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// echoService sends back what it gets.
type echoService struct {
	pb.UnimplementedTestServiceServer
	ended chan error // of streams
}

func (echoService) UnaryCall(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return &pb.SimpleResponse{Payload: r.Payload}, nil
}

func (s echoService) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		r, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			s.ended <- err
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

func TestGRPC(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		ln := listen(t, n)
		server := grpc.NewServer()
		service := echoService{ended: make(chan error, 1)}
		pb.RegisterTestServiceServer(server, service)
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln) }()
		conn, err := grpc.NewClient("passthrough:///"+ln.Addr().String(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return n.Dial(ctx, "tcp", address)
			}))
		require.NoError(t, err)
		c := pb.NewTestServiceClient(conn)

		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for size := 1; size < 2<<20; size *= 11 {
					b := bytes.Repeat([]byte{byte(i)}, size)
					r, err := c.UnaryCall(soon(t), &pb.SimpleRequest{Payload: &pb.Payload{Body: b}})
					if err != nil || !bytes.Equal(b, r.Payload.Body) {
						t.Error("unary call: ", err)
						return
					}
				}
			})
		}
		all.Wait()

		stream, err := c.FullDuplexCall(soon(t))
		require.NoError(t, err)
		const messages = 200
		sent := make(chan error, 1)
		go func() {
			for i := range messages {
				if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: make([]byte, 100*i)}}); err != nil {
					sent <- err
					return
				}
			}
			sent <- stream.CloseSend()
		}()
		for i := range messages {
			r, err := stream.Recv()
			require.NoError(t, err)
			require.Len(t, r.Payload.Body, 100*i)
		}
		_, err = stream.Recv()
		require.Equal(t, io.EOF, err)
		require.NoError(t, <-sent)

		ctx, cancel := context.WithCancel(soon(t))
		stream, err = c.FullDuplexCall(ctx)
		require.NoError(t, err)
		require.NoError(t, stream.Send(&pb.StreamingOutputCallRequest{}))
		_, err = stream.Recv()
		require.NoError(t, err)
		cancel()
		require.Equal(t, codes.Canceled, status.Code(<-service.ended), "the server hears of it")

		closing(t, conn)
		server.GracefulStop()
		require.NoError(t, <-served)
	})
}
