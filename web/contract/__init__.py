"""What the API promises, as documents made of the types in use: OpenAPI of routes, AsyncAPI of sockets."""
