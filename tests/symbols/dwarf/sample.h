struct point { int x, y; };
int outside(int *p, int n);
int replaced(int n);
int helper(int n);
