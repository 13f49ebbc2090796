-- Returns the time of the server's clock, in microseconds since 1970. Changes nothing.
--
-- Keys: see the first line. A cluster needs one to find the server.
return text(micros())
