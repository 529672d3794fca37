"""The rim: sockets, disks, clocks and processes around the pure core."""
