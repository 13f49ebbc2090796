-- Returns the time of the server's clock, in microseconds since 1970. Changes nothing.
--
-- Keys: see the first line; it is needed only for a cluster to know which server to ask.
return text(micros())
