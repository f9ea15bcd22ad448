// The peer: Socket.IO as its documentation has it, on its `ws` engine, without the HTTP long-polling that nobody here uses.
// Whoever connects joins rooms by name; what a client publishes goes to everybody in the room.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (room, joined) => {
    socket.join(room);
    joined();
  });
  socket.on("publish", (room, message) => {
    io.to(room).emit("message", message);
  });
});

http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
