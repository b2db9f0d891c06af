"""Studies that answered one question once; they stay so that their figures can be reproduced."""
